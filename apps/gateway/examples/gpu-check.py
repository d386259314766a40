#!/usr/bin/env python3
"""Multiplies matrices on a GPU and proves every cell of the result: a sample for `gpu.validateCommand`.

    python3 gpu-check.py [--device UUID|INDEX|all] [--size 1024] [--rounds 20] [--seconds 60] [--with auto|torch|driver]

It needs this file and a driver: PyTorch does the work where it is installed (on AMD devices too), else the CUDA driver does, through
libcuda.so.1 alone. The numbers are small whole ones, so that every order of additions gives the same result to the last bit: what
differs is a broken device. The work is done in a process of its own, which is ended when a driver does not come back.

Exit codes: 0 every result was right; 1 a result was wrong; 2 wrong arguments; 3 no CUDA device; 4 the driver reported an error;
5 the time limit passed. The last line of the output says which, in words.
"""
import argparse
import array
import ctypes
import importlib.util
import operator
import os
import random
import re
import signal
import sys
import time
import zlib

PASSED, WRONG, USAGE, NO_DEVICE, DRIVER_ERROR, TOO_LATE = range(6)

# One thread makes one cell. PTX is compiled by the driver itself, for whatever device there is.
KERNEL = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry matmul(.param .u64 left, .param .u64 right, .param .u64 product, .param .u32 size)
{
  .reg .pred %p<4>;
  .reg .f32 %f<4>;
  .reg .b32 %r<12>;
  .reg .b64 %rd<12>;
  ld.param.u64 %rd1, [left];
  ld.param.u64 %rd2, [right];
  ld.param.u64 %rd3, [product];
  ld.param.u32 %r1, [size];
  cvta.to.global.u64 %rd1, %rd1;
  cvta.to.global.u64 %rd2, %rd2;
  cvta.to.global.u64 %rd3, %rd3;
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  mov.u32 %r2, %ctaid.y;
  mov.u32 %r3, %ntid.y;
  mov.u32 %r4, %tid.y;
  mad.lo.u32 %r6, %r2, %r3, %r4;
  setp.ge.u32 %p1, %r5, %r1;
  setp.ge.u32 %p2, %r6, %r1;
  or.pred %p3, %p1, %p2;
  @%p3 bra DONE;
  mul.lo.u32 %r7, %r6, %r1;
  mul.wide.u32 %rd4, %r7, 4;
  add.u64 %rd5, %rd1, %rd4;
  mul.wide.u32 %rd6, %r5, 4;
  add.u64 %rd7, %rd2, %rd6;
  mul.wide.u32 %rd8, %r1, 4;
  mov.f32 %f1, 0f00000000;
  mov.u32 %r8, 0;
LOOP:
  ld.global.f32 %f2, [%rd5];
  ld.global.f32 %f3, [%rd7];
  fma.rn.f32 %f1, %f2, %f3, %f1;
  add.u64 %rd5, %rd5, 4;
  add.u64 %rd7, %rd7, %rd8;
  add.u32 %r8, %r8, 1;
  setp.lt.u32 %p1, %r8, %r1;
  @%p1 bra LOOP;
  add.u32 %r9, %r7, %r5;
  mul.wide.u32 %rd9, %r9, 4;
  add.u64 %rd10, %rd3, %rd9;
  st.global.f32 [%rd10], %f1;
DONE:
  ret;
}
"""
BLOCK = 16
# Up to here every sum of products stays below 2^24, where 32-bit floats still count one by one.
MAX_SIZE = 4096


class Found(Exception):
    """An end with an exit code and a sentence."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code
        self.text = text


def matrices(size):
    """Two matrices of whole numbers from -8 to 8: the same ones at every run."""
    draw = random.Random(size)
    numbers = range(-8, 9)
    return [array.array("f", draw.choices(numbers, k=size * size)) for _ in range(2)]


def dot(row, weights):
    return sum(map(operator.mul, row, weights))


class Proof:
    """Freivalds' proof: product · weights = left · (right · weights), exact in doubles. One wrong cell is always seen."""

    def __init__(self, left, right, size):
        self.size = size
        self.weights = [1.0 + place * 2654435761 % 1000003 for place in range(size)]
        inner = [dot(row, self.weights) for row in self.rows(right)]
        self.expected = [dot(row, inner) for row in self.rows(left)]

    def rows(self, matrix):
        return (matrix[at : at + self.size] for at in range(0, self.size * self.size, self.size))

    def check(self, product, where):
        sums = [dot(row, self.weights) for row in self.rows(product)]
        wrong = [row for row, (got, want) in enumerate(zip(sums, self.expected)) if got != want]
        if wrong:
            raise Found(WRONG, f"wrong result on {where}: {len(wrong)} of {self.size} rows, the first is row {wrong[0]}")


class Driver:
    """The CUDA driver, by the few calls that are needed."""

    def __init__(self):
        try:
            self.library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise Found(NO_DEVICE, f"no CUDA device: {error}")
        self.call("cuInit", 0)
        count = ctypes.c_int()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        if count.value == 0:
            raise Found(NO_DEVICE, "no CUDA device: the driver names none")
        self.count = count.value

    def call(self, name, *arguments):
        code = getattr(self.library, name)(*arguments)
        if code == 0:
            return
        text = ctypes.c_char_p()
        if self.library.cuGetErrorName(code, ctypes.byref(text)) != 0 or text.value is None:
            text.value = b"unknown error"
        name_of = text.value.decode("ascii", "replace")
        # 100: none is there or visible; 101: the index is none.
        if code in (100, 101):
            raise Found(NO_DEVICE, f"no CUDA device: {name} says {name_of} ({code})")
        raise Found(DRIVER_ERROR, f"driver error: {name} says {name_of} ({code})")

    def name(self, device):
        text = ctypes.create_string_buffer(100)
        self.call("cuDeviceGetName", text, len(text), device)
        return text.value.decode("utf-8", "replace")

    def check(self, index, left, right, proof, rounds):
        size = proof.size
        device = ctypes.c_int()
        context = ctypes.c_void_p()
        module = ctypes.c_void_p()
        kernel = ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(device), index)
        where = f"device {index} ({self.name(device)})"
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        self.call("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(KERNEL))
        self.call("cuModuleGetFunction", ctypes.byref(kernel), module, b"matmul")
        length = size * size * 4
        pointers = [ctypes.c_uint64() for _ in range(3)]
        for pointer in pointers:
            self.call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(length))
        for pointer, matrix in zip(pointers, (left, right)):
            self.call("cuMemcpyHtoD_v2", pointer, ctypes.c_void_p(matrix.buffer_info()[0]), ctypes.c_size_t(length))
        values = [*pointers, ctypes.c_uint32(size)]
        parameters = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        grid = (size + BLOCK - 1) // BLOCK
        product = array.array("f", bytes(length))
        first = None
        for number in range(1, rounds + 1):
            self.call("cuMemsetD8_v2", pointers[2], ctypes.c_ubyte(0xFF), ctypes.c_size_t(length))
            self.call("cuLaunchKernel", kernel, grid, grid, 1, BLOCK, BLOCK, 1, 0, None, parameters, None)
            self.call("cuCtxSynchronize")
            self.call("cuMemcpyDtoH_v2", ctypes.c_void_p(product.buffer_info()[0]), pointers[2], ctypes.c_size_t(length))
            checksum = zlib.crc32(product)
            # What has the checksum of a result that was proved is that result.
            if checksum != first:
                proof.check(product, f"{where}, round {number}")
                first = checksum
        for pointer in pointers:
            self.call("cuMemFree_v2", pointer)
        self.call("cuDevicePrimaryCtxRelease_v2", device)
        print(f"{where}: {rounds} rounds right, checksum {first:08x}", flush=True)


class Torch:
    """PyTorch, where it is installed: NVIDIA's and AMD's devices."""

    def __init__(self):
        try:
            import torch
        except Exception as error:  # A broken installation raises all kinds of things.
            raise Found(DRIVER_ERROR, f"driver error: PyTorch cannot be loaded: {error}")
        self.torch = torch
        if not torch.cuda.is_available():
            raise Found(NO_DEVICE, "no CUDA device: PyTorch sees none")
        self.count = torch.cuda.device_count()

    def check(self, index, left, right, proof, rounds):
        torch = self.torch
        where = f"device {index} ({torch.cuda.get_device_name(index)})"
        try:
            on = f"cuda:{index}"
            shape = (proof.size, proof.size)
            a, b = (torch.tensor(m.tolist(), dtype=torch.float32, device=on).reshape(shape) for m in (left, right))
            first = None
            for number in range(1, rounds + 1):
                product = a @ b
                torch.cuda.synchronize(index)
                if first is None:
                    proof.check(product.cpu().flatten().tolist(), f"{where}, round {number}")
                    first = product
                elif not torch.equal(first, product):
                    raise Found(WRONG, f"wrong result on {where}, round {number}: not what round 1 gave")
        except (RuntimeError, AssertionError) as error:
            raise Found(DRIVER_ERROR, f"driver error on {where}: {error}")
        print(f"{where}: {rounds} rounds right", flush=True)


def work(options):
    """The check itself. Answers the exit code; the last line that it prints says why."""
    try:
        if options.device != "all":
            amd = re.fullmatch(r"GPU-[0-9a-fA-F]{16}|amd-\d+", options.device)
            name = "ROCR_VISIBLE_DEVICES" if amd else "CUDA_VISIBLE_DEVICES"
            os.environ[name] = options.device[4:] if options.device.startswith("amd-") else options.device
        torch = importlib.util.find_spec("torch") is not None if options.use == "auto" else options.use == "torch"
        way = Torch() if torch else Driver()
        left, right = matrices(options.size)
        proof = Proof(left, right, options.size)
        for index in range(way.count):
            way.check(index, left, right, proof, options.rounds)
        print(f"passed: {way.count} {'device' if way.count == 1 else 'devices'} by {'PyTorch' if torch else 'the driver'}")
        return PASSED
    except Found as found:
        print(" ".join(found.text.split()))
        return found.code
    except AttributeError as error:
        print(f"driver error: the library lacks a function: {error}")
        return DRIVER_ERROR


def guarded(options):
    """Does the work in a process that can be ended, which a call into a driver that hangs cannot."""
    child = os.fork()
    if child == 0:
        try:
            code = work(options)
            sys.stdout.flush()
        except BaseException as error:  # Nothing may return into the parent's half.
            print(f"driver error: {type(error).__name__}: {error}", flush=True)
            code = DRIVER_ERROR
        os._exit(code)
    status = wait(child, options.seconds)
    if status is None:
        os.kill(child, signal.SIGKILL)
        gone = wait(child, 5) is not None
        print(f"time limit: no answer within {options.seconds:g} s" + ("" if gone else "; the process cannot be ended: the driver hangs"))
        return TOO_LATE
    if os.WIFSIGNALED(status):
        print(f"driver error: the check was ended by signal {os.WTERMSIG(status)}")
        return DRIVER_ERROR
    return os.WEXITSTATUS(status)


def wait(child, seconds):
    until = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid != 0:
            return status
        if time.monotonic() >= until:
            return None
        time.sleep(0.02)


def at_least_one(text):
    number = int(text) if re.fullmatch(r"\d+", text) else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return number


def main():
    parser = argparse.ArgumentParser(description="Multiplies matrices on a GPU and proves every cell of the result.")
    parser.add_argument("--device", default="all", help="UUID or index as CUDA_VISIBLE_DEVICES takes them; default all")
    parser.add_argument("--size", type=at_least_one, default=1024, help=f"rows and columns, at most {MAX_SIZE}; default 1024")
    parser.add_argument("--rounds", type=at_least_one, default=20, help="multiplications a device; default 20")
    parser.add_argument("--seconds", type=float, default=60, help="time limit; default 60")
    parser.add_argument("--with", dest="use", choices=["auto", "torch", "driver"], default="auto", help="default auto: PyTorch where it is installed")
    options = parser.parse_args()
    if options.size > MAX_SIZE or options.seconds <= 0:
        parser.error(f"--size is at most {MAX_SIZE}, --seconds above 0")
    return guarded(options)


if __name__ == "__main__":
    sys.exit(main())
