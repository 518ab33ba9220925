"""Addresses by which a tenant may try to reach the inside. One a line: what is hoped for is in the group's name.

`PORT` is where a test's server counts visits, so that a guard that lets one through shows as a hit, not as an opinion.
"""

ADDRESSES_IN_DISGUISE = """
https://127.0.0.1:PORT/
https://127.0.0.2:PORT/
https://127.1:PORT/
https://127.0.1:PORT/
https://127.255.255.254:PORT/
https://2130706433:PORT/
https://0x7f000001:PORT/
https://0X7F000001:PORT/
https://017700000001:PORT/
https://0x7f.0x0.0x0.0x1:PORT/
https://0177.0.0.1:PORT/
https://0177.0000.0000.0001:PORT/
https://00000000000000000000177.0.0.1:PORT/
https://127.0.0.01:PORT/
https://0x7f.1:PORT/
https://127.0.0.1.:PORT/
https://127.0.0.1%00.example.com:PORT/
https://0:PORT/
https://0.0.0.0:PORT/
https://0.1.2.3:PORT/
https://4294967295:PORT/
https://127.0.0.1.0x0:PORT/
https://[::1]:PORT/
https://[::]:PORT/
https://[0:0:0:0:0:0:0:1]:PORT/
https://[0000::0001]:PORT/
https://[::127.0.0.1]:PORT/
https://[::ffff:127.0.0.1]:PORT/
https://[::ffff:7f00:1]:PORT/
https://[::FFFF:7F00:0001]:PORT/
https://[0:0:0:0:0:ffff:127.0.0.1]:PORT/
https://[::ffff:0:127.0.0.1]:PORT/
https://[64:ff9b::127.0.0.1]:PORT/
https://[64:ff9b::7f00:1]:PORT/
https://[64:ff9b:1::7f00:1]:PORT/
https://[64:ff9b:1:ffff::a9fe:a9fe]:PORT/
https://[2002:7f00:1::]:PORT/
https://[2002:7f00:0001::1]:PORT/
https://[2001:0:7f00:1::1]:PORT/
https://[2001::1]:PORT/
https://[fe80::1]:PORT/
https://[fe80::1%25lo]:PORT/
https://[::1%25lo]:PORT/
https://[::1%lo]:PORT/
https://[fec0::1]:PORT/
https://[fc00::1]:PORT/
https://[fd00:ec2::254]:PORT/
https://[ff02::1]:PORT/
https://[100::1]:PORT/
https://[2001:db8::1]:PORT/
https://[3fff::1]:PORT/
https://[4000::1]:PORT/
https://[v1.fe]:PORT/
https://[127.0.0.1]:PORT/
https://[::1:PORT/
https://::1:PORT/
"""

THE_INSIDE_BY_ADDRESS = """
https://10.0.0.1:PORT/
https://10.255.255.255:PORT/
https://172.16.0.1:PORT/
https://172.31.255.255:PORT/
https://192.168.0.1:PORT/
https://100.64.0.1:PORT/
https://100.100.100.200:PORT/latest/meta-data/
https://169.254.169.254:PORT/latest/meta-data/
https://169.254.170.2:PORT/v2/credentials
https://168.63.129.16:PORT/machine
https://192.0.0.192:PORT/opc/v2/
https://192.0.0.8:PORT/
https://192.88.99.1:PORT/
https://198.18.0.1:PORT/
https://203.0.113.1:PORT/
https://224.0.0.1:PORT/
https://240.0.0.1:PORT/
https://255.255.255.255:PORT/
"""

NAMES_OF_THE_INSIDE = """
https://localhost:PORT/
https://LOCALHOST:PORT/
https://localhost.:PORT/
https://api.localhost:PORT/
https://localhost.localdomain:PORT/
https://db.internal:PORT/
https://metadata.google.internal:PORT/computeMetadata/v1/
https://METADATA.GOOG:PORT/
https://metadata:PORT/
https://kubernetes.default.svc.cluster.local:PORT/
https://router.home.arpa:PORT/
https://printer.lan:PORT/
https://wiki.corp:PORT/
https://intranet:PORT/
https://instance-data:PORT/
"""

TWO_READINGS = """
https://127.0.0.1:PORT@example.com/
https://example.com@127.0.0.1:PORT/
https://example.com:443@127.0.0.1:PORT/
https://user:secret@example.com/
https://@127.0.0.1:PORT/
https://example.com#@127.0.0.1:PORT/
https://example.com\\@127.0.0.1:PORT/
https://127.0.0.1:PORT\\.example.com/
https://example.com:PORT:80/
https://example.com:/
https://example.com:0443/
https://example.com:99999/
https://example.com:+443/
https://example.com%2F@127.0.0.1/
https://%6c%6f%63%61%6c%68%6f%73%74:PORT/
https://127。0。0。1:PORT/
https://①②⑦.⓪.⓪.①:PORT/
https://ⓛocalhost:PORT/
https://loc\u00adalhost:PORT/
https://b\u00fccher.example/
https://examp\u200ble.com/
https:// example.com/
https://example.com /
https://example.com/\thidden
https://exa\tmple.com/
https:///127.0.0.1:PORT/
https:127.0.0.1:PORT/
//127.0.0.1:PORT/
https://
https://?x
https://.example.com/
https://a..example.com/
https://-a.example.com/
https://example.com/{{env.HOME}}
https://example.com/<x>
https://example.com/a#fragment
"""

OTHER_SCHEMES_AND_PORTS = """
http://example.com/
http://127.0.0.1:PORT/
ftp://127.0.0.1:PORT/
file:///etc/passwd
gopher://127.0.0.1:PORT/_GET
dict://127.0.0.1:PORT/
jar:https://127.0.0.1:PORT/
data:text/plain,x
unix:/run/x.sock
https://example.com:22/
https://example.com:5432/
https://example.com:9092/
https://example.com:80/
"""

GROUPS = {
    "an address in disguise": ADDRESSES_IN_DISGUISE,
    "the inside by address": THE_INSIDE_BY_ADDRESS,
    "a name of the inside": NAMES_OF_THE_INSIDE,
    "two readings": TWO_READINGS,
    "another scheme or port": OTHER_SCHEMES_AND_PORTS,
}


def hostile_urls(port: int) -> list[str]:
    """All of them, with this port in place of PORT."""
    lines = [line for group in GROUPS.values() for line in group.strip("\n").split("\n")]
    return [line.replace("PORT", str(port)) for line in lines]
