"""Runs a command on a terminal of its own, and writes what it shows as events of asciicast v2: one line of JSON each,
[seconds, "o", text], and "i" for what was typed. Lines on stdin are done to it: "key TEXT" types, "signal NAME" sends
one, "size COLUMNS ROWS" resizes.
The last event is [seconds, "x", status].

    terminal.py COLUMNS ROWS COMMAND [ARGUMENT ...]
"""

import codecs
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

columns, rows, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]


def resize(fd, width, height):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def say(kind, value):
    print(json.dumps([round(time.monotonic() - begun, 3), kind, value], ensure_ascii=False), flush=True)


begun = time.monotonic()
child, leader = pty.fork()
if child == 0:
    resize(0, columns, rows)
    os.execvp(command[0], command)
decoder = codecs.getincrementaldecoder("utf-8")("replace")
inputs, asked = [leader, sys.stdin.fileno()], b""
while True:
    ready, _, _ = select.select(inputs, [], [], 1)
    if leader in ready:
        try:
            data = os.read(leader, 65536)
        except OSError:
            break  # the last process on the terminal has ended
        if not data:
            break
        text = decoder.decode(data)
        if text:
            say("o", text)
    if sys.stdin.fileno() not in ready:
        continue
    asked += os.read(sys.stdin.fileno(), 65536)
    if not asked:
        inputs = [leader]  # who asks has gone
    *lines, asked = asked.split(b"\n")
    for line in lines:
        word, _, rest = line.decode().partition(" ")
        if word == "key":
            os.write(leader, rest.encode())
            say("i", rest)
        elif word == "signal":
            os.kill(child, getattr(signal, rest))
        elif word == "size":
            resize(leader, *map(int, rest.split()))
_, status = os.waitpid(child, 0)
say("x", os.waitstatus_to_exitcode(status))
