/* rule_files: the texts of iptables/, embedded by tools/embed.py at build time: a build tree or a
 * staging tree has no file at its final path.
 */
#pragma once

extern const char rule_file_netns_v4[];
extern const char rule_file_netns_v6[];
extern const char rule_file_host_v4[];
extern const char rule_file_host_v6[];
extern const char rule_file_bridge[];
