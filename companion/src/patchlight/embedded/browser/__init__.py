"""The embedded model as the page runs it: export to ONNX graphs, and checks of the graphs against PyTorch."""
