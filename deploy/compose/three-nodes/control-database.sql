CREATE DATABASE moorage_control;
