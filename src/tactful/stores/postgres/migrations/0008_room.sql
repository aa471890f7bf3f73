-- Room on each page for the next version of its rows, so that no index has to follow: with less, one
-- in five deliveries and half of what is in the queue moved to another page.
ALTER TABLE deliveries SET (fillfactor = 45);
ALTER TABLE due SET (fillfactor = 40);
