module qgjob.dev/hack/localcluster/go/pause

go 1.21
