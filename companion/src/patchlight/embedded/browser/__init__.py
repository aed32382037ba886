"""The embedded model as the page runs it: export to ONNX graphs, and checks that the graphs give what PyTorch gives."""
