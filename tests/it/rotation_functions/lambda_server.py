"""A server with Lambda's Invoke API for one function in Python: python3 lambda_server.py FILE PATH TOKEN ENDPOINT [PORT].

It answers requests to PATH that carry TOKEN, if there is one, and prints its port first. ENDPOINT is a file that says
where Secrets Manager is.
"""

import base64
import contextlib
import http.server
import importlib.util
import io
import json
import os
import sys
import traceback


class Context:
    function_name = "over-http"
    aws_request_id = "1"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if TOKEN and self.headers["authorization"] != "Bearer " + TOKEN:
            return self.answer(403, {"Message": "The security token included in the request is invalid."})
        if self.path != PATH or self.headers["x-amz-invocation-type"] != "RequestResponse":
            return self.answer(404, {"Message": "Function not found: " + self.path})
        with open(ENDPOINT) as endpoint:
            os.environ["SECRETS_MANAGER_ENDPOINT"] = endpoint.read()
        log, headers, result = io.StringIO(), {}, None
        with contextlib.redirect_stdout(log):
            try:
                result = MODULE.lambda_handler(json.loads(body), Context)
            except Exception as error:
                traceback.print_exc(file=log)
                result = {"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": []}
                headers["X-Amz-Function-Error"] = "Unhandled"
        if self.headers["x-amz-log-type"] == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode(log.getvalue().encode()[-4096:]).decode()
        self.answer(200, result, headers)

    def answer(self, status, result, headers={}):
        text = json.dumps(result).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


FILE, PATH, TOKEN, ENDPOINT, PORT = (sys.argv[1:] + ["0"])[:5]
SPEC = importlib.util.spec_from_file_location("function", FILE)
MODULE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(MODULE)
SERVER = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
print(SERVER.server_port, flush=True)
SERVER.serve_forever()
