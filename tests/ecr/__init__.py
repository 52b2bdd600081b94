"""A stand-in for Amazon ECR that real clients talk to: `stand_in.running` starts one.

Its parts: docker-registry keeps the bytes; `data_plane` is what clients reach by an ECR host name, with
TLS and Basic auth, and does what ECR does and a plain registry does not; moto answers the control plane
behind `control_plane`, which answers itself wherever moto is known to be wrong; `state` is what both share;
`hosts` lends this machine the names and the trust, and takes them back.
"""
