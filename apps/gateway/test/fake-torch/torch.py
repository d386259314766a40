"""A stand-in for PyTorch: the few calls that examples/gpu-check.py makes, on lists. TORCH_STUB: none, wrong, error; nothing: it is well."""

import os

float32 = "float32"
MODE = os.environ.get("TORCH_STUB", "")
products = 0


class Tensor:
    def __init__(self, values, size):
        self.values = values
        self.size = size

    def reshape(self, shape):
        return Tensor(self.values, shape[0])

    def __matmul__(self, other):
        global products
        products += 1
        if MODE == "error":
            raise RuntimeError("CUDA error: an illegal memory access\nwas encountered")
        n = self.size
        columns = [other.values[column::n] for column in range(n)]
        rows = [self.values[at : at + n] for at in range(0, n * n, n)]
        values = [sum(x * y for x, y in zip(row, column)) for row in rows for column in columns]
        if MODE == "wrong" and products == 2:
            values[3] += 1
        return Tensor(values, n)

    def cpu(self):
        return self

    def flatten(self):
        return self

    def tolist(self):
        return self.values


def tensor(values, dtype, device):
    assert dtype == float32 and device.startswith("cuda:")
    return Tensor(values, 0)


def equal(one, other):
    return one.values == other.values


class cuda:
    @staticmethod
    def is_available():
        return MODE != "none"

    @staticmethod
    def device_count():
        return 1

    @staticmethod
    def get_device_name(index):
        return "Stub " + os.environ.get("ROCR_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES", "all"))

    @staticmethod
    def synchronize(index):
        pass
