"""One image to one decision: pixels, alignment, batches, the bundle and the rule.

Needs numpy, Pillow and ONNX Runtime and nothing else, so that an edge machine runs it as it is.
"""
