"""`make data`: the tables of toolkit/data, anew from the packages that locks/ pins."""

from scripts import data_instances, data_recommender, data_uris


def main() -> None:
    data_instances.main()
    data_recommender.main()
    data_uris.main()


if __name__ == "__main__":
    main()
