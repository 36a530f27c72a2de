"""One room per venue, and none of them knows another.

Belongs here: what is true of one exchange only. Keep out: sockets, files, and anything two venues share (that is one level up).
"""
