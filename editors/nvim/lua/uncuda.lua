-- uncuda in Neovim 0.7 and later, without a plug-in manager's help:
--   require("uncuda").setup({ fix_on_save = true })
-- Neovim 0.11 can do with lsp/uncuda.lua and vim.lsp.enable("uncuda") instead.
local M = {}

local MARKERS = { "uncuda.toml", ".uncuda.toml", "pyproject.toml", "setup.cfg", "setup.py", ".git" }
local KIND = "source.fixAll.uncuda"
local clients = {}

local function root_of(path)
  local directory = vim.fn.fnamemodify(path, ":p:h")
  local seen
  while directory ~= seen do
    for _, marker in ipairs(MARKERS) do
      local candidate = directory .. "/" .. marker
      if vim.fn.filereadable(candidate) == 1 or vim.fn.isdirectory(candidate) == 1 then
        return directory
      end
    end
    seen, directory = directory, vim.fn.fnamemodify(directory, ":h")
  end
  return vim.fn.fnamemodify(path, ":p:h")
end

-- All safe fixes of a buffer, now. Waits for the server at most `timeout` milliseconds.
function M.fix_all(bufnr, timeout)
  bufnr = bufnr or vim.api.nvim_get_current_buf()
  local params = {
    textDocument = vim.lsp.util.make_text_document_params(bufnr),
    range = { start = { line = 0, character = 0 }, ["end"] = { line = 0, character = 0 } },
    context = { diagnostics = {}, only = { KIND } },
  }
  local answers = vim.lsp.buf_request_sync(bufnr, "textDocument/codeAction", params, timeout or 2000)
  for id, answer in pairs(answers or {}) do
    local client = vim.lsp.get_client_by_id(id)
    for _, action in ipairs(answer.result or {}) do
      if action.kind == KIND and client then
        if not action.edit then
          local resolved = client.request_sync("codeAction/resolve", action, timeout or 2000, bufnr)
          action = resolved and resolved.result or action
        end
        if action.edit then
          vim.lsp.util.apply_workspace_edit(action.edit, client.offset_encoding or "utf-16")
        end
      end
    end
  end
end

local function attach(options, bufnr)
  local path = vim.api.nvim_buf_get_name(bufnr)
  if path == "" then
    return
  end
  local root = root_of(path)
  if vim.lsp.start then
    vim.lsp.start({ name = "uncuda", cmd = options.cmd, root_dir = root, settings = { uncuda = options.settings } }, { bufnr = bufnr })
  else
    clients[root] = clients[root]
      or vim.lsp.start_client({ name = "uncuda", cmd = options.cmd, root_dir = root, settings = { uncuda = options.settings } })
    vim.lsp.buf_attach_client(bufnr, clients[root])
  end
end

-- options: cmd (default { "uncuda", "lsp" }), fix_on_save (default false), timeout (milliseconds that saving waits for
-- the fixes, default 2000), settings (as in uncuda.toml, under the key "settings").
function M.setup(options)
  options = vim.tbl_extend("keep", options or {}, { cmd = { "uncuda", "lsp" }, fix_on_save = false, settings = {} })
  local group = vim.api.nvim_create_augroup("uncuda", { clear = true })
  vim.api.nvim_create_autocmd("FileType", {
    group = group,
    pattern = "python",
    callback = function(event)
      attach(options, event.buf or tonumber(vim.fn.expand("<abuf>")))
    end,
  })
  if options.fix_on_save then
    vim.api.nvim_create_autocmd("BufWritePre", {
      group = group,
      pattern = "*.py",
      callback = function(event)
        M.fix_all(event.buf or tonumber(vim.fn.expand("<abuf>")), options.timeout)
      end,
    })
  end
end

return M
