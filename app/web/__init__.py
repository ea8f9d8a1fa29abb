"""The page: following tab and set-up, in the frame of Maximizer Web Access or alone.

server       starts and stops it
application  its pages and POST routes
frame        what holds for every request and answer: headers, hosts, origins, sizes, rates, errors
tokens       one-time codes and short-lived signed tokens
sites        the pages of all connections: which one a path leads to
site         what every handler is given: one connection
tab          the ways in, and the following tab
admin, mapping, runs   set-up; they call the same functions as the command line
listing      all connections, for administrators
words        templates; everything that enters them is escaped
"""
