"""The cluster that `hack/cluster` gives: one that a person names, kind, or a local one built from source.

Standard library only, so that it runs before anything is installed. One subject a file:

cli, choice                      what a person types, and which cluster is meant
named, kind, local               the three kinds of cluster, all shaped like cluster.Cluster
programs, gobuild, debian, go/   where the programs come from
kubectl                          which kubectl to use
certificates, kubeconfig, rest   who may talk to whom
controlplane, node, containerd   what the local cluster's parts are told
daemons                          how its parts are started, watched and stopped
network, iptables, cgroups, mounts, host   what it does to the machine, and how that is undone
throwaway                        a short-lived API server for tests
errors, report, locks, files, places, shell   small tools for all of these
"""
