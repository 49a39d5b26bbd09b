"""How a fleet is doing, seen from outside: clients of its messages like any other."""
