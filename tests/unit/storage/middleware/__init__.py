"""Tests of what stands in front of a bucket."""
