"""HTX spot and linear swaps, pretended: gzip frames, pings inside the data, mbp and high_freq books, notifications, REST."""
