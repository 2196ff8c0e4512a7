"""A ResNet-50 file becomes ONNX graphs, and images go through them."""
