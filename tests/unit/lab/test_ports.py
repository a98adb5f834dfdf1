"""A port that is kept is nobody else's, and the program that it is kept for can listen on it."""

import http.server
import socket
from unittest import mock

import pytest

from anchorline import errors
from anchorline.lab import ports
from anchorline.lab.ports import LOOPBACK, Reserved, number


class Server(http.server.HTTPServer):
    """Sets SO_REUSEADDR, as Go's programs do."""

    allow_reuse_address = True


def test_a_program_can_listen_on_the_port_again_and_again() -> None:
    with ports.reserved() as kept:
        for _ in range(3):
            address = (LOOPBACK, number(kept))
            with Server(address, http.server.BaseHTTPRequestHandler) as server:
                with socket.create_connection(address) as client:
                    accepted, peer = server.socket.accept()
                    assert peer == client.getsockname()
                accepted.close()


def test_a_kept_port_is_not_chosen_for_another_lab_and_is_free_after_it() -> None:
    with ports.reserved() as kept:
        mine = number(kept)
        only = range(mine, mine + 1)
        with mock.patch.object(ports, "_RANGE", only), mock.patch.object(ports, "_TRIES", 1):
            with pytest.raises(errors.NotReady, match=rf"no free port on 127\.0\.0\.1 between {mine} and {mine + 1}"):
                ports.reserved()
            kept.close()
            with ports.reserved() as after:
                assert number(after) == mine


def test_a_kept_port_is_not_free_for_a_stranger() -> None:
    with ports.reserved() as kept, socket.socket() as stranger, pytest.raises(OSError, match="Address already in"):
        stranger.bind((LOOPBACK, number(kept)))


def test_a_port_asked_for_is_refused_while_somebody_listens() -> None:
    with ports.reserved() as kept:
        wanted = number(kept)
        sentence = f"Port {wanted} on 127.0.0.1 is taken or not allowed; choose"
        server = Server((LOOPBACK, wanted), http.server.BaseHTTPRequestHandler)
        with server, pytest.raises(errors.InvalidSpec, match=sentence):
            ports.reserved(wanted)
    with ports.reserved(wanted) as found:
        assert number(found) == wanted


def test_what_is_no_port_is_refused() -> None:
    with pytest.raises(errors.InvalidSpec, match="Port 70000 on"):
        ports.reserved(70_000)


def test_a_lab_has_four_ports_of_its_own() -> None:
    labs = [Reserved(None) for _ in range(2)]
    assert len({getattr(each.ports, name) for each in labs for name in ports.Ports.__slots__}) == 8
