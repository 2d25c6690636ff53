import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def train(gpu, args):
    rank = args["nr"] * args["gpus"] + gpu
    dist.init_process_group(backend="nccl", init_method="env://", world_size=args["world_size"], rank=rank)
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    torch.cuda.set_device(gpu)
    model.cuda(gpu)
    criterion = torch.nn.CrossEntropyLoss().cuda(gpu)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)
    model = torch.nn.parallel.DistributedDataParallel(model, device_ids=[gpu])
    for epoch in range(2):
        images = torch.ones(8, 4).cuda(non_blocking=True)
        labels = torch.zeros(8, dtype=torch.long).cuda(non_blocking=True)
        loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if gpu == 0:
            print(f"epoch {epoch}, loss {loss.item() > 0}")


def main():
    args = {"nr": 0, "gpus": 1, "world_size": 1}
    mp.spawn(train, nprocs=args["gpus"], args=(args,))


if __name__ == "__main__":
    main()
