"""Prints one line for each packet that an interface sends, until standard input ends.

usage: packets.py INTERFACE
"""
import select
import socket
import sys

ETHERTYPES = {0x0800: "ip", 0x86DD: "ipv6", 0x0806: "arp"}
PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 58: "icmp6"}


def question(message: bytes) -> str:
    """The name that a DNS message asks for."""
    labels, at = [], 12
    while at < len(message) and message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    return ".".join(labels)


def describe(packet: bytes) -> str:
    """A packet's protocol and destination, and the name that it asks a name server for."""
    kind = ETHERTYPES.get(int.from_bytes(packet[12:14], "big"), "other")
    if kind == "ip":
        length = (packet[14] & 15) * 4
        protocol, to = packet[23], socket.inet_ntop(socket.AF_INET, packet[30:34])
        port = int.from_bytes(packet[14 + length + 2 : 14 + length + 4], "big")
        if protocol == 17 and port == 53:
            return f"udp {to} {port} {question(packet[14 + length + 8 :])}"
    elif kind == "ipv6":
        protocol, to = packet[20], socket.inet_ntop(socket.AF_INET6, packet[38:54])
        port = int.from_bytes(packet[56:58], "big")
    else:
        return kind
    name = PROTOCOLS.get(protocol, str(protocol))
    return f"{name} {to} {port}" if name in ("tcp", "udp") else f"{name} {to}"


def main() -> None:
    capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    capture.bind((sys.argv[1], 0))
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([capture, sys.stdin], [], [])
        if sys.stdin in readable:
            return
        print(describe(capture.recv(65535)), flush=True)


main()
