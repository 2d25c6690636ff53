"""`uncuda rehearse`: runs a program on a simulated accelerator and says what it still asks of CUDA."""
