import time

import torch


class Trainer:
    def __init__(self, model, optimizer, gpu_id=0):
        self.gpu_id = gpu_id
        self.device = torch.device(f"cuda:{gpu_id}" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.optimizer = optimizer
        self.is_cuda = self.device.type == "cuda"

    def log_memory(self, tag):
        allocated = torch.cuda.memory_allocated(self.device) / 1024**3
        reserved = torch.cuda.memory_reserved(self.device) / 1024**3
        peak = torch.cuda.max_memory_allocated(self.device) / 1024**3
        print(f"[{tag}] allocated {allocated:.2f} GB, reserved {reserved:.2f} GB, peak {peak:.2f} GB")

    def step(self, batch):
        batch = batch.cuda(self.gpu_id)
        loss = self.model(batch).mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def fit(self, batches):
        torch.cuda.reset_peak_memory_stats(self.device)
        torch.cuda.synchronize(self.device)
        start = time.perf_counter()
        for batch in batches:
            self.step(batch)
        torch.cuda.synchronize()
        print("seconds", time.perf_counter() - start > 0)
        self.log_memory("end")
        torch.cuda.empty_cache()


def main():
    if torch.cuda.is_available():
        props = torch.cuda.get_device_properties(0)
        print(f"{props.name}, {props.total_memory / 1024**3:.1f} GB")
    model = torch.nn.Linear(4, 1)
    trainer = Trainer(model, torch.optim.SGD(model.parameters(), lr=0.1))
    trainer.fit([torch.ones(2, 4) for _ in range(3)])


if __name__ == "__main__":
    main()
