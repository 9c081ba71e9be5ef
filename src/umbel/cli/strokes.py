"""A small font of pen strokes, for the labels of charts.

A glyph is drawn on a grid 4 wide; y counts down: 0 is the top of a capital, 2 that of a small letter, 6 the base line,
8 the lowest point. A stroke is a chain of points, each two digits `xy`; a single point repeated is a dot.
"""

from __future__ import annotations

ADVANCE = 6  # grid units from one letter to the next
HEIGHT = 6  # grid units from the top of a capital to the base line

_GLYPHS = """
0 10,30,41,45,36,16,05,01,10
1 11,20,26 16,36
2 01,10,30,41,42,06,46
3 01,10,30,41,42,33,44,45,36,16,05 13,33
4 36,30,04,44
5 40,00,03,33,44,45,36,16,05
6 41,30,10,01,05,16,36,45,44,33,13,04
7 00,40,16
8 13,02,01,10,30,41,42,33,13,04,05,16,36,45,44,33
9 05,16,36,45,41,30,10,01,02,13,33,42
a 12,32,43,46 44,14,05,16,36,45
b 00,06 03,12,32,43,45,36,16,05
c 43,32,12,03,05,16,36,45
d 40,46 43,32,12,03,05,16,36,45
e 04,44,43,32,12,03,05,16,36
f 30,20,11,16 02,32
g 43,32,12,03,05,16,36,45 42,47,38,18
h 00,06 03,12,32,43,46
i 22,26 20,20
j 32,37,28,18 30,30
k 00,06 32,04,36
l 10,15,26
m 02,06 03,12,23,26 23,32,43,46
n 02,06 03,12,32,43,46
o 12,32,43,45,36,16,05,03,12
p 02,08 03,12,32,43,45,36,16,05
q 42,48 43,32,12,03,05,16,36,45
r 02,06 04,13,22,32
s 43,32,12,03,14,34,45,36,16,05
t 10,15,26,36 02,32
u 02,05,16,36,45 42,46
v 02,26,42
w 02,16,23,36,42
x 02,46 42,06
y 02,26 42,18
z 02,42,06,46
A 06,20,46 14,34
B 03,00,30,41,42,33,03,06,36,45,44,33
C 41,30,10,01,05,16,36,45
D 00,20,42,44,26,06,00
E 40,00,06,46 03,33
F 40,00,06 03,33
G 41,30,10,01,05,16,36,45,43,23
H 00,06 40,46 03,43
I 20,26 10,30 16,36
J 40,45,36,16,05
K 00,06 40,03,46
L 00,06,46
M 06,00,23,40,46
N 06,00,46,40
O 10,30,41,45,36,16,05,01,10
P 06,00,30,41,42,33,03
Q 10,30,41,45,36,16,05,01,10 24,46
R 06,00,30,41,42,33,03 23,46
S 41,30,10,01,02,13,33,44,45,36,16,05
T 00,40 20,26
U 00,05,16,36,45,40
V 00,26,40
W 00,16,23,36,40
X 00,46 40,06
Y 00,23,40 23,26
Z 00,40,06,46
. 26,26
, 26,17
: 23,23 26,26
- 14,34
_ 07,47
/ 06,40
= 03,43 05,45
+ 04,44 22,26
% 06,40 01,01 45,45
( 30,12,14,36
) 10,32,34,16
@ 44,24,23,33,35,45,41,30,10,01,05,16,36
"""
_UNKNOWN = "00,40,46,06,00"

Stroke = list[tuple[float, float]]


def text_strokes(text: str) -> list[Stroke]:
    """The strokes of a line of text in grid units, from x = 0 on; a character without a glyph is a box."""
    strokes = []
    for index, character in enumerate(text):
        shape = "" if character == " " else _TABLE.get(character, _UNKNOWN)
        for stroke in shape.split():
            points = [(int(point[0]) + index * ADVANCE, int(point[1])) for point in stroke.split(",")]
            strokes.append([(float(x), float(y)) for x, y in points])
    return strokes


def text_width(text: str) -> int:
    """The width of a line of text in grid units."""
    return max(0, len(text) * ADVANCE - 2)


_TABLE = dict(line.split(" ", 1) for line in _GLYPHS.strip().splitlines())
