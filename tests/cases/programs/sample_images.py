import argparse

import torch


class Pipeline:
    """Stands where diffusers' pipeline would."""

    def __init__(self):
        self.unet = torch.nn.Linear(4, 4)

    @classmethod
    def from_pretrained(cls, name, torch_dtype=torch.float32):
        torch.manual_seed(0)
        return cls()

    def to(self, device):
        self.unet.to(device)
        return self

    def enable_attention_slicing(self):
        return None

    def __call__(self, prompt, generator=None, num_inference_steps=2):
        x = torch.randn(1, 4, generator=generator, device=generator.device)
        for _ in range(num_inference_steps):
            x = self.unet(x)
        return x


def sample(prompt, seed=0, steps=2, dtype=torch.float32):
    pipe = Pipeline.from_pretrained("some/model", torch_dtype=dtype)
    pipe = pipe.to("cuda")
    pipe.enable_attention_slicing()
    generator = torch.Generator(device="cuda").manual_seed(seed)
    with torch.inference_mode(), torch.autocast("cuda", enabled=False):
        return pipe(prompt, generator=generator, num_inference_steps=steps)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", type=str, default="cuda:0", help="cuda device, i.e. 0 or cpu")
    parser.add_argument("--steps", type=int, default=2)
    args = parser.parse_args()
    image = sample("a cat", steps=args.steps)
    init = torch.zeros(4, device=args.device)
    print(tuple((image[0] + init.to(image.device)).shape))


if __name__ == "__main__":
    main()
