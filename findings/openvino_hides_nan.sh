#!/usr/bin/env bash
# Guess: a NaN pixel (no data) that reaches a network makes its embedding NaN, in ONNX Runtime and in OpenVINO, so
# that it is seen.
# Surprise: OpenVINO's Relu and Clip turn NaN into 0 and its ReduceMax leaves it out: the embedding is finite and
# looks like any other. ONNX Runtime keeps it in Relu and Clip, but its ReduceMax depends on where it stands: NaN if
# it comes first, the largest number if it comes later. TopK ranks it first in the one and last in the other. And a
# model saved by OpenVINO is not the one that was loaded: weights are stored as float16 by default, one of 100,000
# becomes 65,504.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$work" && env/bin/python -W ignore - <<'PY'
import numpy as np, onnx, onnxruntime, openvino as ov
from onnx import TensorProto, helper, numpy_helper
print("openvino", ov.__version__.split("-")[0], "onnxruntime", onnxruntime.__version__, "onnx", onnx.__version__)
def model(node, *constants, outputs=("y",), width=4):
    kinds = [TensorProto.FLOAT, TensorProto.INT64]
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(outputs, kinds)], [numpy_helper.from_array(np.asarray(v), n) for n, v in constants])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    made.ir_version = 9
    return made
def both(made, x):
    onnx.save(made, "m.onnx")
    one = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"]).run(None, {"x": x})
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    other = ov.compile_model(ov.convert_model("m.onnx"), "CPU", exact)(x)[0]
    return np.float64(one[0]).round(2).tolist(), np.float64(other).round(2).tolist()
x = np.array([[0.5, np.nan, 0.9, -0.5], [np.nan, 0.2, 0.3, 0.4]], "f4")
seen = {}
for name, made in (
    ("Relu", model(helper.make_node("Relu", ["x"], ["y"]))),
    ("Clip", model(helper.make_node("Clip", ["x", "lo", "hi"], ["y"]), ("lo", np.float32(0)), ("hi", np.float32(1)))),
    ("ReduceMax", model(helper.make_node("ReduceMax", ["x", "axes"], ["y"], keepdims=0), ("axes", np.array([1])))),
    ("TopK", model(helper.make_node("TopK", ["x", "k"], ["y", "i"], axis=1), ("k", np.array([2])), outputs=("y", "i"))),
):
    seen[name] = both(made, x)
    print(f"{name:9} ONNX Runtime {seen[name][0]}, OpenVINO {seen[name][1]}")
weight = np.ones((4, 1), "f4")
weight[0] = 100_000
onnx.save(model(helper.make_node("MatMul", ["x", "w"], ["y"]), ("w", weight)), "w.onnx")
loaded = ov.convert_model("w.onnx")
ov.save_model(loaded, "w.xml")
ones = np.ones((1, 4), "f4")
before, after = (float(ov.compile_model(m, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(ones)[0][0, 0]) for m in (loaded, "w.xml"))
print("a weight of 100,000 and three of 1: loaded", before, "saved and loaded", after)
assert all(np.isnan(np.array(seen[n][0])).sum() == 2 and not np.isnan(seen[n][1]).any() for n in ("Relu", "Clip"))
assert seen["ReduceMax"][0][0] == 0.9 and np.isnan(seen["ReduceMax"][0][1]) and seen["ReduceMax"][1] == [0.9, 0.4]
assert np.isnan(seen["TopK"][0][0][0]) and seen["TopK"][1] == [[0.9, 0.5], [0.4, 0.3]]
assert before == 100_003 and after < 65_600
PY
