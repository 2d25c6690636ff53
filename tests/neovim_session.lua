-- Drives a real Neovim: opens a file, waits for diagnostics, applies one action, fixes all on save.
-- Arguments come as environment variables: UNCUDA_CMD (a list, as JSON), UNCUDA_FILE, UNCUDA_OUT.
local out = { steps = {} }

local function finish()
  local file = io.open(os.getenv("UNCUDA_OUT"), "w")
  file:write(vim.fn.json_encode(out))
  file:close()
  vim.cmd("qa!")
end

local ok, problem = pcall(function()
  local uncuda = require("uncuda")
  uncuda.setup({ cmd = vim.fn.json_decode(os.getenv("UNCUDA_CMD")), fix_on_save = true, timeout = 60000 })
  vim.cmd("filetype on")
  vim.cmd("edit " .. os.getenv("UNCUDA_FILE"))
  vim.bo.filetype = "python"
  local function diagnostics()
    return vim.diagnostic.get(0)
  end
  out.appeared = vim.wait(60000, function()
    return #diagnostics() >= 2
  end, 20)
  out.diagnostics = {}
  for _, d in ipairs(diagnostics()) do
    table.insert(out.diagnostics, { code = d.code, lnum = d.lnum, col = d.col, source = d.source, message = d.message })
  end
  -- One quick fix, as a person would take it from the menu.
  local first = out.diagnostics[1]
  local params = {
    textDocument = vim.lsp.util.make_text_document_params(0),
    range = {
      start = { line = first.lnum, character = first.col },
      ["end"] = { line = first.lnum, character = first.col + 1 },
    },
    context = { diagnostics = {}, only = { "quickfix" } },
  }
  local answers = vim.lsp.buf_request_sync(0, "textDocument/codeAction", params, 60000)
  for id, answer in pairs(answers or {}) do
    local action = answer.result and answer.result[1]
    if action then
      out.action = action.title
      vim.lsp.util.apply_workspace_edit(action.edit, vim.lsp.get_client_by_id(id).offset_encoding or "utf-16")
    end
  end
  out.after_action = vim.api.nvim_buf_get_lines(0, 0, -1, false)
  vim.wait(60000, function()
    return #diagnostics() == 1
  end, 20)
  out.left = #diagnostics()
  vim.cmd("write")
  out.after_save = vim.api.nvim_buf_get_lines(0, 0, -1, false)
  out.clean = vim.wait(60000, function()
    return #diagnostics() == 0
  end, 20)
end)
if not ok then
  out.problem = tostring(problem)
end
finish()
