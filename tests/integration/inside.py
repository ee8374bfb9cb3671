"""A client inside a network namespace: the socket is made in there and used from here."""

import http.client
import socket


class Inside:
    def __init__(self, netns):
        self.netns = netns

    def connect(self, address="169.254.169.254", port=80, timeout=5):
        return self.netns.connect(address, port, timeout)

    def request(self, method, path, headers, address="169.254.169.254", port=80, timeout=5, body=None,
                sock=None):
        """One request, sent exactly so: (status, headers, body). A list as a header's value repeats it."""
        connection = http.client.HTTPConnection(address, port, timeout=timeout)
        connection.sock = sock or self.connect(address, port, timeout)
        try:
            skip_host = any(name.lower() == "host" for name in headers)
            connection.putrequest(method, path, skip_host=skip_host, skip_accept_encoding=True)
            for name, value in headers.items():
                for one in value if isinstance(value, list) else [value]:
                    connection.putheader(name, one)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            if not sock:
                connection.close()

    def raw(self, data, address="169.254.169.254", port=80, timeout=5, shutdown=False):
        """Bytes in, bytes out until the peer closes or `timeout` passes."""
        received = b""
        with self.connect(address, port, timeout) as s:
            s.sendall(data)
            if shutdown:
                s.shutdown(socket.SHUT_WR)
            try:
                while chunk := s.recv(65536):
                    received += chunk
            except (TimeoutError, ConnectionResetError):
                pass
        return received
