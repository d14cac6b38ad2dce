"""What a classifier answers on a CPU: its network as one ONNX graph, computed by ONNX Runtime."""
