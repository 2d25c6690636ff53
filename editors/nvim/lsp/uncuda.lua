-- Neovim 0.11 and later: put this folder on 'runtimepath' (or copy the file to ~/.config/nvim/lsp/), then
--   vim.lsp.enable("uncuda")
return {
  cmd = { "uncuda", "lsp" },
  filetypes = { "python" },
  root_markers = { "uncuda.toml", ".uncuda.toml", "pyproject.toml", "setup.cfg", "setup.py", ".git" },
  settings = { uncuda = {} },
}
