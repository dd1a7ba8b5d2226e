"""The program in a batch's pod: takes its TestBatch, installs the app once, runs its TestJobs in turn."""
