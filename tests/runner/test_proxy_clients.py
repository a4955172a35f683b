"""Do the programs that people use get through the proxy to what is listed, and learn what is not?"""

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trio

from support.proxying import proxying


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.command} {self.path} at {self.headers['Host']}".encode()
        length = int(self.headers.get("Content-Length") or 0)
        body += b" " + self.rfile.read(length) if length else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name is the standard library's

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def site() -> Iterator[str]:
    """A real HTTP server; its `host:port`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


URLLIB = """
import sys, urllib.request, urllib.error
try:
    print(urllib.request.urlopen(sys.argv[1], data=b"sent", timeout=10).read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""
NODE = """
const http = require('http'), proxy = new URL(process.env.HTTP_PROXY), url = new URL(process.argv[1]);
const show = (r) => { r.setEncoding('utf8'); r.on('data', (d) => process.stdout.write(r.statusCode + ' ' + d)); };
const place = { host: proxy.hostname, port: proxy.port, agent: false };
http.get({ ...place, path: url.href, headers: { host: url.host } }, show);
http.request({ ...place, method: 'CONNECT', path: url.host })
  .on('connect', (r, socket, head) => {
    if (r.statusCode !== 200) return process.stdout.write(r.statusCode + ' ' + head);
    http.get({ createConnection: () => socket, path: '/tunnel', headers: { host: url.host } }, show);
  }).end();
"""
CLIENTS = {
    "curl": ["curl", "-sS", "--max-time", "10", "-d", "sent"],
    "curl_get": ["curl", "-sS", "--max-time", "10"],
    "curl_tunnel": ["curl", "-sS", "--max-time", "10", "--proxytunnel"],
    "urllib": ["python3", "-c", URLLIB],
    "node": ["node", "-e", NODE],
}


async def run(name: str, port: int, url: str) -> str:
    if shutil.which(CLIENTS[name][0]) is None:
        pytest.skip(f"no {CLIENTS[name][0]} on this machine")
    env = {**os.environ, "HTTP_PROXY": f"http://127.0.0.1:{port}", "http_proxy": f"http://127.0.0.1:{port}"}
    env |= {"NO_PROXY": "", "no_proxy": ""}
    with trio.fail_after(20):
        done = await trio.run_process(
            [*CLIENTS[name], url], env=env, capture_stdout=True, capture_stderr=True, check=False
        )
    return done.stdout.decode() + done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
async def test_real_clients_reach_what_is_listed_and_are_told_what_is_not(client: str, site: str) -> None:
    async with proxying([site]) as through:
        answer = await run(client, through.port, f"http://{site}/page?q=1")
        assert f"at {site}" in answer and ("/page?q=1" in answer)
        if client in ("curl", "urllib"):
            assert "POST" in answer and answer.strip().endswith("sent")
        assert ("/tunnel" in answer) == (client == "node")
        assert through.denied == []
        answer = await run(client, through.port, "http://evil.example:81/")
        assert "403" in answer or "is not in the list" in answer
        assert set(through.denied) == {"evil.example:81 is not in the list of destinations"}
