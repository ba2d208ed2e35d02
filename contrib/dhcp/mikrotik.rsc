# Written by `handset dhcp snippet`: changes here are lost.
# Import it on the router: /import handset.rsc
# The router is authoritative where /ip dhcp-server print shows authoritative=yes: that spares phones a minute.
/ip dhcp-server lease remove [find comment="handset"]
/ip dhcp-server matcher remove [find name~"^handset"]
/ip dhcp-server option sets remove [find name~"^handset"]
/ip dhcp-server option remove [find name~"^handset"]
/ip dhcp-server option add name=handset-66 code=66 value="s'192.0.2.1'"
/ip dhcp-server option add name=handset-150 code=150 value=0xc0000201
/ip dhcp-server option sets add name=handset options=handset-66,handset-150
/ip dhcp-server matcher add name=handset-1 server=all code=60 matching-type=substring value="Cisco Systems, Inc. IP Phone" option-set=handset
/ip dhcp-server network set [find address=192.0.2.0/24] next-server=192.0.2.1
