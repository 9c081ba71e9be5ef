"""The SuperLink program: options, sockets, TLS, its SuperExec child process."""
