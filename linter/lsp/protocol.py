"""The conversation's rules: what is refused, with which error, and that it is said why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcMethodNotFound
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.language_server import lsp_method

from uncuda.lsp.transport import Broken

if TYPE_CHECKING:
    from uncuda.lsp.server import Server


class Protocol(LanguageServerProtocol):
    """pygls's, but for these: texts of open documents are kept by the session alone; every message that can't be
    dealt with is answered where an answer is awaited, and told in the editor's log; none ends the conversation."""

    _server: Server

    # -- messages ------------------------------------------------------------------------------------------

    def take(self, data: Any) -> None:
        """Deals with one message as it came from the stream."""
        if isinstance(data, Broken):
            self._refuse(None, types.ErrorCodes.ParseError, str(data))
            return
        if not isinstance(data, dict) or data.get("jsonrpc") != self.VERSION:
            self._refuse(data, types.ErrorCodes.InvalidRequest, "not a message of JSON-RPC 2.0")
            return
        method = data.get("method")
        if method is None and "id" not in data:
            self._refuse(
                data, types.ErrorCodes.InvalidRequest, "neither a request, a notification nor an answer"
            )
            return
        if method is not None and (why := self._out_of_turn(method)) is not None:
            self._refuse(data, *why)
            return
        try:
            message = self.structure_message(data)
        except JsonRpcException as error:
            cause = error.__cause__ or error
            self._refuse(data, types.ErrorCodes.InvalidParams, f"{method or 'an answer'}: {_plainly(cause)}")
            return
        try:
            self.handle_message(message)
        except OSError:
            raise
        except Exception as error:
            self._refuse(data, types.ErrorCodes.InternalError, f"{method or 'an answer'}: {error!r}")

    def _out_of_turn(self, method: Any) -> tuple[int, str] | None:
        if not isinstance(method, str):
            return types.ErrorCodes.InvalidRequest, "the method's name isn't a text"
        started = self._workspace is not None
        if method == types.INITIALIZE and started:
            return types.ErrorCodes.InvalidRequest, "the server has been initialized already"
        if not started and method not in (types.INITIALIZE, types.EXIT):
            return types.ErrorCodes.ServerNotInitialized, f"{method} came before initialize"
        if self._shutdown and method != types.EXIT:
            return types.ErrorCodes.InvalidRequest, f"{method} came after shutdown"
        return None

    def _refuse(self, data: Any, code: int, why: str) -> None:
        self._server.warn(why)
        id_ = data.get("id") if isinstance(data, dict) else None
        # A notification gets no answer, and neither does an answer; what can't be read may have been a request.
        if data is None or not isinstance(data, dict) or (id_ is not None and "method" in data):
            self._send_response(
                id_ if isinstance(id_, (int, str)) else None,  # type: ignore[arg-type]
                error=types.ResponseError(int(code), why),
            )

    def _get_handler(self, feature_name: str) -> Callable[[Any], Any]:
        try:
            return super()._get_handler(feature_name)
        except JsonRpcMethodNotFound:
            # Those that begin so may be left alone by who doesn't know them.
            if not feature_name.startswith("$/"):
                self._server.warn(f"there is no method {feature_name!r} here")
            raise

    # -- documents -----------------------------------------------------------------------------------------

    # Plain functions: of every other handler of a notification pygls keeps something for good.

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self.fm.features[types.TEXT_DOCUMENT_DID_OPEN](params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE](params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE](params)

    @lsp_method(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def lsp_notebook_document__did_change(self, params: types.DidChangeNotebookDocumentParams) -> None:
        uri = params.notebook_document.uri
        if self.workspace.get_notebook_document(notebook_uri=uri) is None:
            self._server.warn(f"{uri}: changed, but was never opened")
            return
        self.workspace.update_notebook_document(params)
        self.fm.features[types.NOTEBOOK_DOCUMENT_DID_CHANGE](params)


def _plainly(error: BaseException) -> str:
    """The innermost of grouped errors, in one line."""
    while (inner := getattr(error, "exceptions", None)) or error.__cause__ is not None:
        error = inner[0] if inner else error.__cause__  # type: ignore[assignment]
    return f"{type(error).__name__}: {error}".splitlines()[0]
