module qgjob.dev/hack/localcluster/pause

go 1.21
