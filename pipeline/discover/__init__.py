"""Cameras of the network, found by WS-Discovery and asked by ONVIF for their streams, as lines for a fleet file."""
