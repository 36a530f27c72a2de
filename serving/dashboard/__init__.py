"""The dashboard: pages for people on the server of the API, drawn by the browser from the live feed and from answers shared by all viewers.

Belongs here: its addresses, its sign-in, what each page reads (`pages/`), and what runs in the browser (`static/`). Keep out: reading the
lake (`serving.reader`), the live feed (`serving.feed`), whose `/v1/live` the pages follow like any other client.
"""
