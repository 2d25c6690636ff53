"""The language server: what `uncuda check` knows, while one types."""
