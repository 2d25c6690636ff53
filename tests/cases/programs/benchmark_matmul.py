import argparse

import torch


def benchmark(fn, warmup=2, iters=5):
    for _ in range(warmup):
        fn()
    torch.cuda.synchronize()
    start = torch.cuda.Event(enable_timing=True)
    end = torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(iters):
        fn()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / iters


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=64)
    args = parser.parse_args()
    print(f"GPU: {torch.cuda.get_device_name(0)}")
    a = torch.randn(args.size, args.size, device="cuda", dtype=torch.float32)
    b = torch.randn(args.size, args.size, device="cuda", dtype=torch.float32)
    torch.cuda.reset_peak_memory_stats()
    ms = benchmark(lambda: a @ b)
    tflops = 2 * args.size**3 / (ms * 1e-3) / 1e12
    print(f"{ms > 0} {tflops > 0} peak {torch.cuda.max_memory_allocated() / 1024**2:.1f} MB")


if __name__ == "__main__":
    main()
