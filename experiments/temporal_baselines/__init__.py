"""UNet3D, TSViT and our factorised encoder, trained from nothing on the same series in the same CPU seconds.

All take pixels (B, T, C, H, W) that are standardised and zero where not valid, valid (B, T, H, W) and day of
year (B, T), and give scores (B, K, H, W).
"""
