"""Serve a small byte-level language model over HTTP.

    python serve_llm.py --gpu 0 --weights model.pt --port 8000
    curl -d '{"prompt": "Once upon a time", "max_tokens": 32}' localhost:8000/generate

`--once PROMPT` answers one prompt and exits: what the health check of the container runs.
"""
import argparse
import json
import logging
import os
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

import torch
import torch.nn as nn
import torch.nn.functional as F

log = logging.getLogger("serve")


@dataclass
class Config:
    vocab: int = 256
    dim: int = 64
    layers: int = 2
    heads: int = 4
    max_len: int = 256
    device: str = "cuda"


class KVCache:
    """Keys and values of all layers for one sequence, allocated once."""

    def __init__(self, config, dtype):
        shape = (config.layers, 2, 1, config.heads, config.max_len, config.dim // config.heads)
        self.data = torch.zeros(shape, dtype=dtype, device="cuda")
        self.length = 0

    def append(self, layer, k, v):
        end = self.length + k.shape[2]
        self.data[layer, 0, :, :, self.length:end] = k
        self.data[layer, 1, :, :, self.length:end] = v
        return self.data[layer, 0, :, :, :end], self.data[layer, 1, :, :, :end]


class Layer(nn.Module):
    def __init__(self, config, index):
        super().__init__()
        self.index, self.heads = index, config.heads
        self.norm1, self.norm2 = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.mlp = nn.Sequential(
            nn.Linear(config.dim, 4 * config.dim), nn.GELU(), nn.Linear(4 * config.dim, config.dim)
        )

    def forward(self, x, cache):
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        k, v = cache.append(self.index, k, v)
        # While the prompt is read a token must not see those after it; later there is one token at a time.
        y = F.scaled_dot_product_attention(q, k, v, is_causal=n > 1)
        x = x + self.out(y.transpose(1, 2).reshape(b, n, d))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed = nn.Embedding(config.vocab, config.dim)
        self.position = nn.Embedding(config.max_len, config.dim)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, config.vocab, bias=False)

    def forward(self, tokens, cache):
        positions = torch.arange(cache.length, cache.length + tokens.shape[1], device=tokens.device)
        x = self.embed(tokens) + self.position(positions)
        for layer in self.layers:
            x = layer(x, cache)
        cache.length += tokens.shape[1]
        return self.head(self.norm(x[:, -1]))


class Engine:
    def __init__(self, config, weights=None, seed=0):
        self.config = config
        self.device = torch.device(config.device)
        if torch.cuda.is_available():
            props = torch.cuda.get_device_properties(self.device)
            log.info("device: %s, %.1f GB", props.name, props.total_memory / 2**30)
        self.dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        torch.manual_seed(seed)
        torch.cuda.manual_seed_all(seed)
        self.model = Transformer(config)
        if weights:
            self.model.load_state_dict(torch.load(weights, map_location=lambda storage, loc: storage.cuda()))
        self.model = self.model.to("cuda", dtype=self.dtype).eval()
        self.warm_up()
        torch.cuda.empty_cache()
        log.info("ready: %.1f MB allocated, %.1f MB reserved",
                 torch.cuda.memory_allocated() / 2**20, torch.cuda.memory_reserved() / 2**20)

    def warm_up(self):
        # The first kernels are slow: pay for them before the first request.
        self.generate("warm up", 4, temperature=1.0)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()

    @torch.inference_mode()
    def generate(self, prompt, max_tokens=32, temperature=0.8, seed=None):
        generator = torch.Generator("cuda")
        generator.manual_seed(seed if seed is not None else 0)
        prompt_bytes = prompt.encode()[: self.config.max_len - max_tokens]
        tokens = torch.tensor([list(prompt_bytes)], dtype=torch.long)
        tokens = tokens.pin_memory().cuda(non_blocking=True)
        cache = KVCache(self.config, self.dtype)
        out = []
        for _ in range(max_tokens):
            logits = self.model(tokens, cache).float()
            if temperature == 0:
                tokens = logits.argmax(-1, keepdim=True)
            else:
                tokens = torch.multinomial(F.softmax(logits / temperature, -1), 1, generator=generator)
            out.append(tokens.item())
        return bytes(out).decode("latin-1")

    def stats(self):
        figures = {"peak_memory_mb": torch.cuda.max_memory_allocated() / 2**20}
        if torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
            figures["free_gb"], figures["total_gb"] = free / 2**30, total / 2**30
        return figures


class Handler(BaseHTTPRequestHandler):
    engine = None

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"text": self.engine.generate(request["prompt"], request.get("max_tokens", 32))})

    def do_GET(self):
        self.answer(self.engine.stats())

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gpu", default="0", help="which GPU to use")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--weights")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--once", metavar="PROMPT")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")

    os.environ["CUDA_VISIBLE_DEVICES"] = args.gpu
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    torch.set_float32_matmul_precision("high")
    if torch.cuda.device_count() > 1:
        log.warning("only the first of %d GPUs is used", torch.cuda.device_count())

    engine = Engine(Config(device=args.device), args.weights)
    if args.once is not None:
        begun = time.perf_counter()
        text = engine.generate(args.once, args.max_tokens, seed=1)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - begun
        print(json.dumps({"text": text, "tokens_per_second": args.max_tokens / seconds, **engine.stats()}))
        return
    Handler.engine = engine
    log.info("listening on %s:%d", args.host, args.port)
    HTTPServer((args.host, args.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
