-- Drives Neovim 0.11 or later with its own way to configure servers, and editors/nvim/lsp/uncuda.lua.
-- Arguments as in neovim_session.lua.
local out = {}
local ok, problem = pcall(function()
  vim.lsp.config("uncuda", { cmd = vim.fn.json_decode(os.getenv("UNCUDA_CMD")) })
  vim.lsp.enable("uncuda")
  vim.cmd("filetype on")
  vim.cmd("edit " .. os.getenv("UNCUDA_FILE"))
  vim.bo.filetype = "python"
  out.appeared = vim.wait(60000, function()
    return #vim.diagnostic.get(0) >= 2
  end, 20)
  out.codes = vim.tbl_map(function(d)
    return d.code
  end, vim.diagnostic.get(0))
  vim.api.nvim_create_autocmd("BufWritePre", {
    pattern = "*.py",
    callback = function(event)
      require("uncuda").fix_all(event.buf, 60000)
    end,
  })
  vim.cmd("write")
  out.clean = vim.wait(60000, function()
    return #vim.diagnostic.get(0) == 0
  end, 20)
end)
if not ok then
  out.problem = tostring(problem)
end
local file = io.open(os.getenv("UNCUDA_OUT"), "w")
file:write(vim.fn.json_encode(out))
file:close()
vim.cmd("qa!")
