#!/usr/bin/env bash
# Guess: 64-bit rasters (H3 ids, counts) keep their nodata value, or a value that cannot be kept is refused.
# Surprise: of a large nodata value only its first digit is stored: 2**64-1 becomes 1, an H3 id 6, -2**63 becomes -9,
# without a warning. The mask then marks the wrong pixels: nothing that was left out, and every pixel that counts 1.
# Up to 15 digits all is well, and so it is in int32.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q rasterio==1.4.4 numpy==2.4.6
"$work/env/bin/python" - <<'PY'
import numpy as np, rasterio
print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
grid = rasterio.Affine(10, 0, 600000, 0, -10, 5100000)
def written(dtype, nodata):
    pixels = np.array([[1, 2], [3, nodata]], dtype)
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", width=2, height=2, count=1, dtype=dtype, nodata=nodata, crs="EPSG:32632", transform=grid) as file:
            file.write(pixels, 1)
        with memory.open() as file:
            masked = file.read(1, masked=True)
    assert (masked.data == pixels).all()
    print(f"{dtype:6} nodata {nodata:21} is read as {file.nodata!r:22} masked: {masked.data[masked.mask].tolist()}")
    return file.nodata, masked.data[masked.mask].tolist()
cell = 608542046591909887
assert written("int32", -2**31) == (-2**31, [-2**31]) and written("int64", -9999) == (-9999, [-9999])
assert written("int64", 10**15) == (10**15, [10**15])
assert written("uint64", 2**64 - 1) == (1, [1])
assert written("int64", -2**63) == (-9, [])
assert written("uint64", cell) == (6, [])
PY
