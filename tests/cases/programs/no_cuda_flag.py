import argparse

import torch

parser = argparse.ArgumentParser(description="a small classifier")
parser.add_argument("--no-cuda", action="store_true", default=False)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
args.cuda = not args.no_cuda and torch.cuda.is_available()

torch.manual_seed(args.seed)
device = torch.device("cuda" if args.cuda else "cpu")
kwargs = {"num_workers": 0, "pin_memory": True} if args.cuda else {}
model = torch.nn.Linear(4, 2).to(device)
data = torch.utils.data.DataLoader(torch.ones(8, 4), batch_size=4, **kwargs)
print("batches", sum(model(x.to(device)).shape[0] for x in data))
