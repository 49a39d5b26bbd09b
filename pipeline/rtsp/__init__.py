"""The RTSP protocol and what travels with it: requests and answers, authentication, SDP, RTP and RTCP.

Nothing here knows of recordings or cameras: who serves pictures hands over `pipeline.rtsp.rtp.RtpUnit` values and gives
each client a `pipeline.rtsp.subscriber.RtpSubscriber`, inside its RTSP connection or by UDP.
"""
