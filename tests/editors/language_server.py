"""The language server for YAML that editors run, spoken to as an editor speaks to it: JSON-RPC on stdin and stdout."""

import json
import queue
import shutil
import subprocess
import threading
from pathlib import Path

SERVER = Path(__file__).parent / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
NODE = shutil.which("node")
SETTINGS = {"yaml": {"schemaStore": {"enable": False}, "schemas": {}, "hover": True, "completion": True}}
PATIENCE = 120
"""Seconds to wait for an answer: the first one needs the whole schema."""


class LanguageServer:
    def __init__(self, folder: Path):
        assert NODE
        self.folder = folder
        self._process = subprocess.Popen([NODE, SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answers: dict[int, queue.Queue] = {}
        self._diagnostics: dict[str, queue.Queue] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        capabilities = {
            "workspace": {"configuration": True},
            "textDocument": {"completion": {"completionItem": {"snippetSupport": True}}},
        }
        root = {"processId": None, "rootUri": folder.as_uri(), "capabilities": capabilities}
        self.request("initialize", root)
        self.notify("initialized", {})

    def close(self) -> None:
        self.request("shutdown", None)
        self.notify("exit", None)
        self._process.wait(timeout=PATIENCE)
        self._reader.join()
        self._process.stdin.close()
        self._process.stdout.close()

    def open(self, name: str, text: str) -> str:
        """Have a file edited; its URI is returned, of which there is one for each."""
        uri = (self.folder / f"{len(self._diagnostics)}-{name}").as_uri()
        self._diagnostics[uri] = queue.Queue()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return uri

    def diagnostics(self, name: str, text: str) -> list[dict]:
        """Return what is marked as wrong in a text."""
        uri = self.open(name, text)
        found = self._diagnostics[uri].get(timeout=PATIENCE)
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        return found

    def completion(self, name: str, text: str) -> dict[str, dict]:
        """Return what is offered where a text has a `|`, by its label."""
        uri, position = self._at_mark(name, text)
        offered = self.request("textDocument/completion", {"textDocument": {"uri": uri}, "position": position})
        return {one["label"]: one for one in offered["items"]}

    def hover(self, name: str, text: str) -> str:
        """Return what is told where a text has a `|`."""
        uri, position = self._at_mark(name, text)
        told = self.request("textDocument/hover", {"textDocument": {"uri": uri}, "position": position})
        return told["contents"]["value"] if told else ""

    def _at_mark(self, name: str, text: str) -> tuple[str, dict]:
        before, _, after = text.partition("|")
        lines = before.split("\n")
        return self.open(name, before + after), {"line": len(lines) - 1, "character": len(lines[-1])}

    def request(self, method: str, params: object) -> object:
        with self._lock:
            number = len(self._answers)
            self._answers[number] = queue.Queue()
        self._send({"id": number, "method": method, "params": params})
        answer = self._answers[number].get(timeout=PATIENCE)
        assert "error" not in answer, answer
        return answer["result"]

    def notify(self, method: str, params: object) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        with self._lock:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
            self._process.stdin.flush()

    def _read(self) -> None:
        while header := self._process.stdout.readline():
            length = int(header.partition(b":")[2])
            while self._process.stdout.readline().strip():
                pass
            self._take(json.loads(self._process.stdout.read(length)))

    def _take(self, message: dict) -> None:
        if "method" not in message:
            self._answers[message["id"]].put(message)
        elif message["method"] == "textDocument/publishDiagnostics":
            found = message["params"]
            if found["uri"] in self._diagnostics:
                self._diagnostics[found["uri"]].put(found["diagnostics"])
        elif message["method"] == "workspace/configuration":
            result = [SETTINGS.get(item.get("section"), {}) for item in message["params"]["items"]]
            self._send({"id": message["id"], "result": result})
        elif "id" in message:
            self._send({"id": message["id"], "result": None})
