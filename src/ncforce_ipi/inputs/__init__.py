"""From words to a plan and to i-PI's XML.  Starts nothing."""
