"""A fake AWS for rolegate's tests: the EC2 instance metadata service and STS.

Run it as ``python3 -m fake_aws``; drive it from tests with :class:`fake_aws.client.FakeAWS`.
It is stricter than AWS where strictness finds bugs in a client and more permissive where
permissiveness makes a leak visible. README.md has the command line and the switches.
"""
